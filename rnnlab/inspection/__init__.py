"""Looking at a stored run: scoring it again, checking its files, exporting it, diagnoses of its network."""
