apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: spyderbat-nanoagent
  namespace: {{ .Release.Namespace }}
  labels: {k8s-app: spyderbat-nanoagent, version: v1, spyderbatchart: {{ .Chart.Name }}-{{ .Chart.Version }}}
spec:
  selector:
    matchLabels: {name: spyderbat-nanoagent}
  updateStrategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 0, maxUnavailable: 1}
  template:
    metadata:
      labels: {name: spyderbat-nanoagent, k8s-app: spyderbat-nanoagent, version: v1}
      annotations:
        # Another value at every rendering.
        rollme: {{ randAlphaNum 5 | quote }}
    spec:
      serviceAccountName: {{ .Values.serviceAccount.name }}
      hostNetwork: true
      hostPID: true
      terminationGracePeriodSeconds: 30
      tolerations: [{operator: Exists}]
      {{- if .Values.priorityClassDefault.enabled }}
      priorityClassName: spyderbat-high-priority
      {{- end }}
      containers:
        - name: spyderbat-nanoagent
          image: {{ .Values.image.registry }}/{{ .Values.image.repository }}:{{ .Values.image.tag }}
          imagePullPolicy: {{ .Values.image.pullPolicy }}
          securityContext: {privileged: true}
          env: {{- include "env" . | nindent 12 }}
            - {name: SPYDERBAT_EPHEMERAL_NODE, value: "true"}
          resources: {{- toYaml .Values.resources | nindent 12 }}
          volumeMounts:
            - {name: iproc, mountPath: /iproc, readOnly: true}
            - {name: hostopt, mountPath: /hostopt}
            - {name: hostvar, mountPath: /hostvar}
            - {name: hosthome, mountPath: /hosthome}
            - {name: hostetc, mountPath: /hostetc, readOnly: true}
            - {name: hostrun, mountPath: /hostrun}
            # For the image that the tests run: our collector's socket.
            - {name: socket, mountPath: /run/nanoagent}
      volumes:
        - {name: iproc, hostPath: {path: /proc}}
        - {name: hostopt, hostPath: {path: /opt}}
        - {name: hostvar, hostPath: {path: /var}}
        - {name: hosthome, hostPath: {path: /home}}
        - {name: hostetc, hostPath: {path: /etc}}
        - {name: hostrun, hostPath: {path: /run}}
        - {name: socket, emptyDir: {}}
