"""Writes records to configured external systems over HTTP."""
