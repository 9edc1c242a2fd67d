"""The journal in Redis: many hubs, one log. `open_redis` makes it; the extra `tocsin[redis]` has its client."""

from tocsin.eventlog.journal.redis.journal import RedisJournal, open_redis

__all__ = ["RedisJournal", "open_redis"]
