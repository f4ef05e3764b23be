module nanoagent.io/demo/shop

go 1.25.0
