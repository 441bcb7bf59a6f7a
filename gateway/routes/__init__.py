"""What the gateway answers itself, served by FastAPI: index, health, docs, metrics."""
