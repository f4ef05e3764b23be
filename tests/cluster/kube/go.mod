// Marks the root of the module only: the requirements are in versions/, one file for each Kubernetes minor.
module kube

go 1.26.8
