"""The web pages that people work in: server-rendered, and nothing but a client of the gateway's HTTP API."""
