import type { WrongInputs } from '../shared/wrong-input.ts'

/** As in Apptainer: 255 for what is refused, 1 for what is not understood. The folder is /home/ada, as the test lays it out. */
export const wrongInputs: readonly WrongInputs[] = [
  {
    about: 'The words',
    inputs: [
      ['nope', 1, "unknown command 'nope'\nSee: lamina --help"],
      ['exec', 1, "missing required argument 'image'\nSee: lamina exec --help"],
      ['exec --nope busybox.sqfs true', 1, "unknown option '--nope'\nSee: lamina exec --help"],
      ['overlay create', 1, "missing required argument 'file'\nSee: lamina overlay create --help"],
      ['help nope', 1, "unknown command 'nope'\nSee: lamina --help"],
      [
        'pull docker://debian',
        255,
        '"pull" is not to be had: lamina build IMAGE.sqfs docker://IMAGE makes a file of an image; docker://IMAGE itself can stand wherever an image is asked for',
      ],
      [
        'inspect --json busybox.sqfs',
        255,
        '"inspect" is not to be had: lamina exec IMAGE ls /.singularity.d shows what an image says of itself; lamina instance list --json tells of instances',
      ],
      [
        'run -d busybox.sqfs',
        255,
        '--detach is not to be had: lamina instance start IMAGE NAME runs it in the background',
      ],
      [
        'exec --nv busybox.sqfs true',
        255,
        "--nv is not to be had: the driver's files are not brought along: give each that `nvidia-container-cli list` names by -B; the devices are there",
      ],
      [
        'exec -v /a:/b busybox.sqfs true',
        255,
        '--volume is not to be had: give directories of the host by -B SRC[:DEST[:ro]]',
      ],
      ['exec busybox.sqfs', 255, 'exec needs a command: lamina exec IMAGE COMMAND [ARGUMENT...]'],
      ['completion tcsh', 255, 'no completion for "tcsh": there are bash, zsh, fish'],
    ],
  },
  {
    about: 'The image',
    inputs: [
      [
        'exec debian:12 true',
        255,
        'could not open image debian:12: no such file or directory; an image of a registry is docker://debian:12',
      ],
      [
        'run -e A=1 busybox.sqfs',
        255,
        'could not open image A=1: no such file or directory. A variable is set by --env A=1; -e is --cleanenv',
      ],
      [
        'run -p 8080:80 busybox.sqfs',
        255,
        "could not open image 8080:80: no such file or directory. Ports need no -p, which is --pid: the network is the host's",
      ],
      ['exec nope.sif true', 255, 'could not open image nope.sif: no such file or directory'],
      [
        'exec text.txt true',
        255,
        'could not open image text.txt: it is neither squashfs nor SIF nor ext3 (bad magic number); make one with lamina build',
      ],
      ['exec empty.img true', 255, 'could not open image empty.img: it is empty; make one with lamina build'],
      [
        'exec bare true',
        255,
        'could not open image bare: it is a directory without directories, and no root of a container; make one with lamina build',
      ],
      [
        'exec a.img true',
        255,
        'a.img is an overlay, and no container: give it with --overlay a.img, and an image beside it',
      ],
      [
        'run shub://GodloveD/ubuntu',
        255,
        'shub://GodloveD/ubuntu: Singularity Hub no longer exists: take the image from a registry, docker://ubuntu for example',
      ],
      [
        'run library://ubuntu',
        255,
        'library://ubuntu: pull it with apptainer or singularity, and give the file; or take docker://IMAGE',
      ],
      [
        'run https://example.com/debian.sif',
        255,
        'https://example.com/debian.sif: download the file, and give its path',
      ],
      ['run docker://', 255, '"docker://" names no image: docker://debian:12 does, for example'],
      [
        'run docker://ubuntu:',
        255,
        'docker://ubuntu: cannot be had: "ubuntu:" is not an image reference: write it as registry/repository:tag or repository@sha256:…, in lower case',
      ],
      [
        'run docker-daemon:ubuntu',
        255,
        'docker-daemon:ubuntu: save it with `docker save -o image.tar IMAGE`, and give docker-archive:image.tar',
      ],
      [
        'run docker-archive:x.tar',
        255,
        'docker-archive:x.tar is to be built first: lamina build image.sqfs docker-archive:x.tar, and then give image.sqfs',
      ],
    ],
  },
  {
    about: 'The command in the container',
    inputs: [
      ['exec busybox.sqfs nope', 255, '"nope": executable file not found in $PATH'],
      ['exec busybox.sqfs /nope', 255, 'stat /nope: no such file or directory'],
      ['exec busybox.sqfs /etc/passwd', 255, '"/etc/passwd": permission denied'],
      ['shell --shell /bin/zsh busybox.sqfs', 255, 'stat /bin/zsh: no such file or directory'],
      ['exec --pwd /nope busybox.sqfs true', 255, '--pwd /nope: there is no such directory in the container'],
    ],
  },
  {
    about: 'Overlays',
    inputs: [
      ['exec -o nope.img busybox.sqfs true', 255, 'could not open overlay nope.img: no such file or directory'],
      [
        'exec -o :ro busybox.sqfs true',
        255,
        '--overlay ":ro" names no file: write --overlay my-overlay.img or my-overlay.img:ro',
      ],
      [
        'exec -o text.txt busybox.sqfs true',
        255,
        'text.txt cannot be an overlay: it is neither squashfs nor SIF nor ext3 (bad magic number); make one with lamina overlay create',
      ],
      [
        'exec -o ext4.img busybox.sqfs true',
        255,
        'ext4.img: file is not a valid ext3 image: the file system has features that ext3 lacks (incompat 0x40, ro_compat 0x0): make it with mkfs.ext3',
      ],
      [
        'exec -o cut.img busybox.sqfs true',
        255,
        'cut.img cannot be an overlay: it is cut off: its ext3 file system has 16777216 bytes, of which 8388608 are there; make one with lamina overlay create',
      ],
      [
        'exec -o layer.sqfs:rw busybox.sqfs true',
        255,
        'layer.sqfs is a squashfs, which cannot be written: give it as layer.sqfs:ro',
      ],
      [
        'exec -o a.img -o b.img busybox.sqfs true',
        255,
        "you can't specify more than one writable overlay: give all of a.img and b.img but one with :ro",
      ],
      ['exec -o a.img -o ./a.img:ro busybox.sqfs true', 255, './a.img is given twice: give each overlay once'],
      [
        'exec -o with-things busybox.sqfs true',
        255,
        'with-things has "file" in it, and an overlay\'s directory has only upper/ and work/: give an empty directory, or with-things:ro to lay it over the image as it is',
      ],
      [
        'exec -o fifo busybox.sqfs true',
        255,
        'fifo is neither a file nor a directory, and cannot be an overlay; make one with lamina overlay create',
      ],
      [
        'exec --writable busybox.sqfs true',
        255,
        '--writable is not to be had: the image itself is never written: lay an overlay over it with --overlay; --pwd sets the working directory',
      ],
      [
        'overlay create a.img',
        255,
        'a.img already exists, and is left as it is: give another name, or remove it first',
      ],
      ['overlay create --size 1 new.img', 255, '--size "1": image size must be equal or greater than 64 MiB'],
      [
        'overlay create --size 20T new.img',
        255,
        '--size "20T": image size must be at most 16 TiB, which is as large as ext3 can be',
      ],
      ['overlay create --size big new.img', 255, '--size "big" is not a size: write MiB as a number, or 768M, 10G'],
      [
        'overlay create nope/new.img',
        255,
        'could not create nope/new.img: there is no directory /home/ada/nope: make that first',
      ],
      ['overlay check nope.img', 255, 'could not open overlay nope.img: no such file or directory'],
      [
        'overlay check text.txt',
        255,
        'text.txt is no ext3 overlay: it is neither squashfs nor SIF nor ext3 (bad magic number). If it was one, restore it from a copy',
      ],
      [
        'overlay check layer.sqfs',
        255,
        'layer.sqfs is a squashfs, which is never written: there is nothing to check or to make larger',
      ],
      ['overlay check with-things', 255, 'with-things is no file: give an ext3 image'],
      ['overlay check fifo', 255, 'fifo is no file: give an ext3 image'],
      [
        'overlay ls text.txt',
        255,
        'text.txt is no ext3 overlay: it is neither squashfs nor SIF nor ext3 (bad magic number); make one with lamina overlay create',
      ],
      ['overlay du nope', 255, 'could not open overlay nope: no such file or directory'],
      ['overlay resize a.img more', 255, '<size> "more" is not a size: write MiB as a number, or 768M, 10G'],
      [
        'overlay resize a.img 1',
        255,
        '<size> 1 MiB is less than the 16 MiB that a.img has, and overlays do not shrink: make a smaller one, and copy what you need',
      ],
      [
        'overlay resize a.img 20T',
        255,
        '<size> "20T": image size must be at most 16 TiB, which is as large as ext3 can be',
      ],
      ['overlay resize a.img', 1, "missing required argument 'size'\nSee: lamina overlay resize --help"],
    ],
  },
  {
    about: 'Binds and environment',
    inputs: [
      [
        'exec -B nope busybox.sqfs true',
        255,
        '--bind "nope": the destination "nope" must be an absolute path in the container',
      ],
      ['exec -B /nope busybox.sqfs true', 255, 'could not open the source of --bind, /nope: no such file or directory'],
      ['exec -B /tmp:/x:exec busybox.sqfs true', 255, '--bind "/tmp:/x:exec" is not SOURCE[:DESTINATION[:ro|:rw]]'],
      ['exec --env 1=2 busybox.sqfs true', 255, '--env "1=2" is not NAME=VALUE'],
      ['exec --env-file env.bad busybox.sqfs true', 255, 'env.bad, line 2: "no variable" is not NAME=VALUE'],
      [
        'exec --no-mount disk busybox.sqfs true',
        255,
        '--no-mount "disk": possible are dev, proc, sys, home, cwd, tmp, etc',
      ],
    ],
  },
  {
    about: 'Building an image',
    inputs: [
      [
        'build busybox.sqfs sandbox',
        255,
        'build target /home/ada/busybox.sqfs already exists: remove it, or use --force',
      ],
      ['build bare sandbox', 255, 'could not write /home/ada/bare: it is a directory: give the name of a file'],
      [
        'build nope/new.sqfs sandbox',
        255,
        'could not write /home/ada/nope/new.sqfs: there is no directory /home/ada/nope: make that first',
      ],
      ['build new.sqfs nope', 255, 'could not open the source nope: no such file or directory'],
      ['build new.sqfs layer.sqfs', 255, 'layer.sqfs is an image already: it can be used as it is'],
      [
        'build new.sqfs image.def',
        255,
        'image.def: definition files are not built here: build with apptainer or docker, and give docker://IMAGE',
      ],
      [
        'build new.sqfs text.txt',
        255,
        'text.txt is a file: write docker-archive:text.txt or oci-archive:text.txt, or give a directory',
      ],
      [
        'build new.sqfs docker-archive:text.txt',
        255,
        'could not read docker-archive:text.txt: initializing source docker-archive:text.txt: loading tar component manifest.json: unexpected EOF; check that it is a whole docker-archive',
      ],
    ],
  },
  {
    about: 'Instances',
    inputs: [
      ['exec instance://nope true', 255, 'no instance found with name nope: lamina instance list shows those that run'],
      [
        'instance start busybox.sqfs a/b',
        255,
        '"a/b" cannot be an instance\'s name: letters, digits, dots, - and _, at most 100, and no dot or - at first',
      ],
      ['instance stop', 255, 'which instance? Give its name, or --all'],
      ['instance stop nope', 255, 'no instance found with name nope: lamina instance list shows those that run'],
      ['instance stop --signal NOPE x', 255, '--signal "NOPE" is no signal: write TERM, SIGTERM or 15'],
      ['instance stop --timeout soon x', 255, '--timeout "soon" is no number of seconds: write 10, for example'],
      [
        'logs nope',
        255,
        'no instance nope has been started here since the machine was: lamina instance list shows those that run',
      ],
      ['logs --tail some x', 255, '--tail "some" is no number of lines: write 10, for example'],
      [
        'ps -o yaml',
        1,
        "option '-o, --output <format>' argument 'yaml' is invalid. Allowed choices are json.\nSee: lamina ps --help",
      ],
    ],
  },
]
