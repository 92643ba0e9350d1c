a: while (true) { b: while (true) { continue a } }
