"""Getting data sets: addresses, downloads and the folder where they are kept."""
