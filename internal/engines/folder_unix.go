//go:build linux || darwin

package engines

import "golang.org/x/sys/unix"

// folderSpace returns the space of the file system that holds the folder.
func folderSpace(folder string) (space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return space{}, err
	}
	free := int64(st.Bavail) * int64(st.Bsize)
	return space{free: free, size: int64(st.Blocks) * int64(st.Bsize), usable: free}, nil
}
