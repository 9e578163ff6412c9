"""Pictures of runs by matplotlib: bytes of an image from results and findings; nothing here prints or writes."""
