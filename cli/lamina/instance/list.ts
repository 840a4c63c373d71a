import { mebibytes } from '../../../kube/quantity.ts'
import { formatTable } from '../../shared/table.ts'
import type { Caller } from '../run/request.ts'
import { requireInstance } from './enter.ts'
import { useOf } from './processes.ts'
import { type InstanceRecord, runningInstances } from './record.ts'
import { tidy } from './tidy.ts'

const asJson = (instances: readonly object[]): string => `${JSON.stringify({ instances }, null, '\t')}\n`

/** With Apptainer's names. */
const described = ({ name, pid, image, overlays, startTime, stdout, stderr }: InstanceRecord) => ({
  instance: name,
  pid,
  img: image,
  ip: '',
  overlays,
  startTime,
  logOutPath: stdout,
  logErrPath: stderr,
})

export const listInstances = ({ json }: { json: boolean }, { layout }: Caller): string => {
  tidy(layout, new Date())
  const records = runningInstances(layout)
  if (json) return asJson(records.map(described))
  const rows = records.map(({ name, pid, image }) => [name, String(pid), '', image])
  return formatTable(['INSTANCE NAME', 'PID', 'IP', 'IMAGE'], rows)
}

/** Of one, or of all. @throws Refusal */
export const instanceStats = (name: string | undefined, { json }: { json: boolean }, caller: Caller): string => {
  const records = name === undefined ? runningInstances(caller.layout) : [requireInstance(name, caller)]
  const uses = records.map((record) => ({ instance: record.name, ...useOf(record.pid) }))
  if (json) return asJson(uses)
  const rows = uses.map(({ instance, cpuSeconds, memory, processes }) => [
    ...[instance, `${cpuSeconds.toFixed(2)} s`, mebibytes(memory), String(processes)],
  ])
  return formatTable(['INSTANCE NAME', 'CPU TIME', 'MEM USAGE', 'PIDS'], rows)
}
