"""Figures: computed, kept, judged and shown."""
