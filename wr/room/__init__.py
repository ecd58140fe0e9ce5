"""Use cases: what visitors, operators, the gate and the admission loop do. No HTTP, no Lua."""
