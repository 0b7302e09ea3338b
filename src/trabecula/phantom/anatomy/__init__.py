"""Anatomy: solids in mm, what they are made of, and sites of the body built from them."""
