"""The commands of the program, one file each; the file's stem is the name."""
