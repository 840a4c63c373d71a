-- What kstatus reads, in its order, so that Argo CD, Flux, Helm and kubectl agree.
-- Beyond that: what is tried again, but waits for somebody, is Degraded here, as
-- Argo CD says of a Pod whose kubelet backs off; and what is stopped is Suspended.
local needs_somebody = {
  PodRefused = true,
  ServiceRefused = true,
  StartFailed = true,
  CrashLoopBackOff = true,
  CreateContainerConfigError = true,
  CreateContainerError = true,
  RunContainerError = true,
  OverlayMissing = true,
  OverlayNoSpace = true,
}

local status = obj.status or {}
local conditions = {}
for _, condition in ipairs(status.conditions or {}) do
  conditions[condition.type] = condition
end

local function is_true(name)
  return conditions[name] ~= nil and conditions[name].status == "True"
end

local function words(condition)
  if condition.message == nil or condition.message == "" then return condition.reason end
  return condition.reason .. ": " .. condition.message
end

local ready = conditions.Ready
if ready == nil or status.observedGeneration ~= obj.metadata.generation then
  return { status = "Progressing", message = "Waiting for the controller to look at the spec" }
end

if is_true("Stalled") or (not is_true("Ready") and needs_somebody[ready.reason]) then
  return { status = "Degraded", message = words(ready) }
end
if is_true("Reconciling") or not is_true("Ready") then
  return { status = "Progressing", message = words(ready) }
end

local running = conditions.Running
if running ~= nil and running.status == "False" and running.reason ~= "Completed" then
  return { status = "Suspended", message = words(ready) }
end

local message = words(ready)
local function add(condition)
  if condition ~= nil and condition.status == "False" then message = message .. "; " .. words(condition) end
end
add(conditions.OverlaysReady)
add(conditions.UpToDate)
return { status = "Healthy", message = message }
