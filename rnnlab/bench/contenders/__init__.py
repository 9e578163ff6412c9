"""The contenders, one file per library; each is imported in the process of a contender only, and so is its library."""
