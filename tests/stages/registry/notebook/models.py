"""A module of a person's own."""

OWN = "a notebook's"
