"""Events, filters and bytes: pure functions and values, without asyncio, Tornado or a clock."""
