"""What makes a program one of our services: settings, logs, problems, tokens, health, metrics, database.

It imports none of the services, and it can verify tokens but not sign them.
"""
