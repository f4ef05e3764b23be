apiVersion: v1
kind: ConfigMap
metadata:
  name: spyderbat-install-config
data:
  installdetails: {{ uuidv4 | quote }}
