"""Shared pieces of training, as plain functions: each system calls what it needs."""
