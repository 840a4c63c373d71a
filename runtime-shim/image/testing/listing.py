"""Prints one JSON line a file below a directory: everything that an unpacked image consists of."""
import errno, hashlib, json, os, stat, sys

def text(path):
    return path.decode('latin1')

def xattrs(path):
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError as error:
        # A squashfs without any has no place for them.
        if error.errno != errno.ENOTSUP:
            raise
        names = []
    return {name: os.getxattr(path, name, follow_symlinks=False).hex() for name in sorted(names)}

def describe(path, name):
    s = os.lstat(path)
    kind = stat.S_IFMT(s.st_mode)
    entry = {
        'path': text(name), 'type': stat.filemode(s.st_mode)[0], 'mode': stat.S_IMODE(s.st_mode),
        'uid': s.st_uid, 'gid': s.st_gid, 'mtime': int(s.st_mtime_ns // 10**9),
        'xattrs': xattrs(path),
    }
    if kind != stat.S_IFDIR:
        entry['links'] = s.st_nlink
    if kind == stat.S_IFLNK:
        entry['target'] = text(os.readlink(path))
    if kind in (stat.S_IFCHR, stat.S_IFBLK):
        entry['device'] = '%d:%d' % (os.major(s.st_rdev), os.minor(s.st_rdev))
    if kind == stat.S_IFREG:
        entry['size'] = s.st_size
        with open(path, 'rb') as f:
            entry['sha256'] = hashlib.file_digest(f, 'sha256').hexdigest()
    return entry

def walk(root, prefix=b''):
    for name in sorted(os.listdir(os.path.join(root, prefix))):
        path = os.path.join(prefix, name)
        full = os.path.join(root, path)
        yield describe(full, path)
        if stat.S_ISDIR(os.lstat(full).st_mode):
            yield from walk(root, path)

for entry in walk(os.fsencode(sys.argv[1])):
    print(json.dumps(entry))
