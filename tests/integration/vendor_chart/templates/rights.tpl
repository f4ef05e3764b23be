apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ .Values.serviceAccount.name }}
  namespace: {{ .Release.Namespace }}
  labels:
    app.kubernetes.io/name: {{ .Chart.Name }}
    app.kubernetes.io/instance: {{ .Release.Name }}
    app.kubernetes.io/managed-by: {{ .Release.Service }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {{ .Values.serviceAccount.writerolename }}
rules:
  - apiGroups: ["*"]
    resources: [nodes, namespaces, services, daemonsets, deployments, replicasets, events]
    verbs: [get, list, watch]
  - apiGroups: ["*"]
    resources: [pods]
    verbs: [get, list, watch, delete]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: spyderbat-rolebinding-cluster-{{ .Release.Namespace }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: {{ .Values.serviceAccount.writerolename }}}
subjects: [{kind: ServiceAccount, name: {{ .Values.serviceAccount.name }}, namespace: {{ .Release.Namespace }}}]
{{- if .Values.priorityClassDefault.enabled }}
---
apiVersion: scheduling.k8s.io/v1
kind: PriorityClass
metadata:
  name: spyderbat-high-priority
value: {{ .Values.priorityClassDefault.value }}
{{- end }}
