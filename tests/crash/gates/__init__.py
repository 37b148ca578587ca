"""Gates around the steps of a process, at which the crash matrix makes it stand."""
