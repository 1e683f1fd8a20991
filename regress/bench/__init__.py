"""hagw beside keepalived and conntrackd: the same work, the same machine."""
