"""One folder per published system or baseline: card.yaml, system.py, essence.py."""
