"""All state: batched calls of Lua scripts on DragonflyDB, Valkey or Redis, and what belongs to a store."""
