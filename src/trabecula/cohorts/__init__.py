"""One folder per public or phantom cohort: card.yaml, cohort.py."""
