"""What proxied calls need beside the carrying itself: remembered callers and assertions, and quotas."""
