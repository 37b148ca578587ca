"""Groups of letters that failed alike."""
