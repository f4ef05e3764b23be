module nanoagent.io/liar

go 1.25.0
