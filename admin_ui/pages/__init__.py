"""The pages, one module for each family; ``admin_ui.main`` includes their routers."""
