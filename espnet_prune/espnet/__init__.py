"""Adapter to ESPnet: front end, tasks, registration, and what works round its defects."""
