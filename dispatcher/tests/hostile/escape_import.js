const os = await import("os"); os.exec(["/bin/sh"])
