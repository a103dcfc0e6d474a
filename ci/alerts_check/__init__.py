"""What ci/alerts is made of."""
