return { run = 1 }
