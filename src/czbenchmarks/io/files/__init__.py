"""Files that strangers made: opened, measured against what they claim, and read."""
