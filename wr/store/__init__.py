"""All state: batched calls of Lua scripts on DragonflyDB, or on any server that speaks its protocol."""
