"""Patients whose bone is known: a population, and the pictures of it."""
