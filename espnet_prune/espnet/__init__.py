"""Adapter to ESPnet 202511: front end, tasks, registration, and what works round its defects."""
