//go:build linux || darwin

package engines

import "golang.org/x/sys/unix"

// folderSpace returns the space of the file system that holds the folder.
func folderSpace(folder string) (space, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(folder, &st); err != nil {
		return space{}, err
	}
	block := float64(st.Bsize) // the type of Bsize depends on the operating system
	free := int64(float64(st.Bavail) * block)
	return space{free: free, size: int64(float64(st.Blocks) * block), usable: free}, nil
}
