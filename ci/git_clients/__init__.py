"""The checks of ci/git-clients."""
