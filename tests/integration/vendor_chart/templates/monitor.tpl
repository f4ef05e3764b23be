{{- if .Values.clusterMonitor.create }}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: clustermonitor-deployment
  namespace: {{ .Release.Namespace }}
  labels: {app: clustermonitor}
spec:
  replicas: 1
  selector:
    matchLabels: {app: clustermonitor}
  template:
    metadata:
      labels: {app: clustermonitor}
      annotations:
        rollme: {{ randAlphaNum 5 | quote }}
    spec:
      serviceAccountName: {{ .Values.serviceAccount.name }}
      containers:
        - name: clustermonitor
          image: {{ .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          env: {{- include "env" . | nindent 12 }}
            - {name: K8SMONITOR, value: "yes"}
          resources: {{- toYaml .Values.resources | nindent 12 }}
{{- end }}
