const std = await import("qjs:std"); std.open("/etc/passwd", "r")
