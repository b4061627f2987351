"""What scenarios share: a running exchange, generated stubs, members and streams."""
