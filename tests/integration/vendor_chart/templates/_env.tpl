{{- define "env" -}}
- {name: AGENT_REGISTRATION_CODE, value: {{ .Values.nanoagent.agentRegistrationCode | quote }}}
- {name: ORC_URL, value: {{ .Values.nanoagent.orcurl | quote }}}
- {name: SPYDERBAT_TAGS, value: {{ .Values.spyderbat_tags | quote }}}
- {name: SPYDERBAT_K8S_DEPLOYMENT, value: "yes"}
- {name: CLUSTER_NAME, value: {{ .Values.CLUSTER_NAME | quote }}}
{{- /* Readers of YAML other than Helm's refuse the tab after the empty value. */}}
- name: CURL_ARGS
  value: 	
- name: SPYDERBAT_INSTALL_ID
  valueFrom:
    configMapKeyRef: {name: spyderbat-install-config, key: installdetails}
{{- end }}
