{{- define "lamina.fullname" -}}
{{- if contains "lamina" .Release.Name }}{{ .Release.Name }}{{ else }}{{ .Release.Name }}-lamina{{ end }}
{{- end }}

{{/* Labels of one part; called with (dict "root" $ "component" "agent"). */}}
{{- define "lamina.selector" -}}
app.kubernetes.io/name: lamina
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .component }}
{{- end }}

{{- define "lamina.labels" -}}
{{ include "lamina.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ .root.Chart.Name }}-{{ .root.Chart.Version }}
{{- end }}

{{- define "lamina.image" -}}
{{- with .Values.image -}}
{{ .repository }}{{ if .digest }}@{{ .digest }}{{ else }}:{{ .tag | default $.Chart.AppVersion }}{{ end }}
{{- end }}
{{- end }}

{{- define "lamina.controllerUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "lamina.fullname" . }}-controller
{{- end }}

{{- define "lamina.agentUser" -}}
system:serviceaccount:{{ .Release.Namespace }}:{{ include "lamina.fullname" . }}-agent
{{- end }}

{{/* "yes" or nothing. An upgrade with --reuse-values does not know the values of later charts. */}}
{{- define "lamina.hasPolicies" -}}
{{- if dig "enabled" true (.Values.admissionPolicies | default dict) }}yes{{ end }}
{{- end }}

{{/* The same of the page for people. */}}
{{- define "lamina.hasConsole" -}}
{{- if dig "enabled" false (.Values.console | default dict) }}yes{{ end }}
{{- end }}

{{/* Names of the policies in templates/policies that deny, as JSON. */}}
{{- define "lamina.guards" -}}
{{- $names := list }}
{{- range list "agent-nodes" "agent-overlays" "agent-pods" "claim-base" "claim-owners" "claim-sources" "claims" "instance-pods" "release" "status" }}
{{- $names = append $names (printf "%s-%s" (include "lamina.fullname" $) .) }}
{{- end }}
{{- $names | toJson }}
{{- end }}

{{/* Where to find the API server, when the Service "kubernetes" does not lead there. */}}
{{- define "lamina.apiServerEnv" -}}
{{- with .Values.apiServer }}
{{- if .host }}
- name: KUBERNETES_SERVICE_HOST
  value: {{ .host | quote }}
{{- end }}
{{- if .port }}
- name: KUBERNETES_SERVICE_PORT
  value: {{ .port | toString | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/* Certificate authorities that Node.js and Go (skopeo) trust beside their own. */}}
{{- define "lamina.caEnv" -}}
{{- if .Values.extraCaCerts }}
- name: NODE_EXTRA_CA_CERTS
  value: /etc/lamina/ca/ca.crt
# Go reads both; Node.js complains of a list of folders.
- name: SSL_CERT_FILE
  value: /etc/ssl/certs/ca-certificates.crt
- name: SSL_CERT_DIR
  value: /etc/lamina/ca
{{- end }}
{{- end }}

{{- define "lamina.caMount" -}}
{{- if .Values.extraCaCerts }}
- {name: ca, mountPath: /etc/lamina/ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "lamina.caVolume" -}}
{{- if .Values.extraCaCerts }}
- name: ca
  configMap: {name: {{ include "lamina.fullname" . }}-ca}
{{- end }}
{{- end }}

{{/* /etc/containers, as skopeo reads it. */}}
{{- define "lamina.registriesVolume" -}}
- name: registries
  configMap:
    name: {{ include "lamina.fullname" . }}-registries
    items:
      - {key: registries.conf, path: registries.conf}
      - {key: policy.json, path: policy.json}
      {{- if .Values.registriesD }}
      - {key: registries.d, path: registries.d/lamina.yaml}
      {{- end }}
      {{- range $file, $_ := .Values.signatureKeys }}
      - {key: "key.{{ $file }}", path: "keys/{{ $file }}"}
      {{- end }}
{{- end }}

{{/* What pods of controller and agent have in common. */}}
{{- define "lamina.podSpec" -}}
{{- with .Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- if .Values.hostNetwork }}
hostNetwork: true
dnsPolicy: ClusterFirstWithHostNet
{{- end }}
{{- end }}

{{/* Pod security "restricted", and nothing to write to. */}}
{{- define "lamina.unprivileged" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "lamina.probes" -}}
livenessProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 10
  failureThreshold: 6
readinessProbe:
  httpGet: {path: /readyz, port: metrics}
  periodSeconds: 2
  failureThreshold: 3
startupProbe:
  httpGet: {path: /healthz, port: metrics}
  periodSeconds: 1
  failureThreshold: 60
{{- end }}
