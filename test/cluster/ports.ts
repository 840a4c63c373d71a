import { readdir, readFile, readlink } from 'node:fs/promises'

const listening = '0A'

/** Socket inodes listening on the TCP port, from /proc/net/tcp and tcp6 (proc_pid_net(5)). */
const listenersOn = async (port: number): Promise<string[]> => {
  const tables = await Promise.all(['tcp', 'tcp6'].map((file) => readFile(`/proc/net/${file}`, 'utf8').catch(() => '')))
  const wanted = port.toString(16).toUpperCase().padStart(4, '0')
  return tables
    .flatMap((table) => table.trim().split('\n').slice(1))
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(`:${wanted}`) && state === listening)
    .map((fields) => fields[9] ?? '')
}

const holderOf = async (inode: string): Promise<string> => {
  for (const pid of (await readdir('/proc')).filter((entry) => /^\d+$/.test(entry))) {
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => [])
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '')
      if (target !== `socket:[${inode}]`) continue
      const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim()
      return `process ${pid} (${command.slice(0, 120)})`
    }
  }
  return 'a process that cannot be seen from here'
}

/** @throws naming each port that is taken and who holds it */
export const assertPortsFree = async (ports: Record<string, number>): Promise<void> => {
  const taken: string[] = []
  for (const [use, port] of Object.entries(ports)) {
    const [inode] = await listenersOn(port)
    if (inode !== undefined) taken.push(`port ${port} (for ${use}) is held by ${await holderOf(inode)}`)
  }
  if (taken.length > 0) throw new Error(`${taken.join('\n')}\nStop the holder, or choose another cluster name.`)
}
