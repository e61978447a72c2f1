"""The published studies as data, and what runs them."""
